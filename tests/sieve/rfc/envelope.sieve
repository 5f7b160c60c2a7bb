### RFC 5228 section 5.4: who sent it
# given: from = tim@example.com
# coyote: discard
require "envelope";
if envelope :all :is "from" "tim@example.com" { discard; }

### RFC 5228 section 5.4: the null reverse-path is empty, in whatever part of it
# given: from = 
# coyote: discard
require "envelope";
if allof (envelope "from" "", envelope :domain "from" "", envelope :localpart "from" "") { discard; }

### RFC 5228 section 5.4: and to whom, before aliases
# given: to = alias@example.com
# coyote: discard
require "envelope";
if envelope :localpart "to" "alias" { discard; }

### RFC 5228 section 5.4: a part that an envelope does not have
# refused: the envelope has no 'subject'
require "envelope";
if envelope "subject" "x" { discard; }
