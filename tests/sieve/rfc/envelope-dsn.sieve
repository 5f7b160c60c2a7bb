### RFC 6009 section 3: the conditions are values of their own
# given: notify = SUCCESS,DELAY
# given: orcpt = rfc822;ann+x@example.com
# given: ret = HDRS
# given: envid = 4711
# coyote: discard
require ["envelope", "envelope-dsn", "relational", "comparator-i;ascii-numeric"];
if allof (envelope "notify" "delay", not envelope "notify" "never", envelope :count "eq" "notify" "2",
          envelope "orcpt" "rfc822;ann+x@example.com", envelope "ret" "HDRS", envelope "envid" "4711") { discard; }

### RFC 6009 section 3: who asked for nothing has nothing that matches
# coyote: keep
require ["envelope", "envelope-dsn"];
if envelope :matches ["notify", "orcpt", "ret", "envid"] "*" { discard; }

### RFC 6009 section 3: they are no addresses
# refused: the ret of the envelope is no address
require ["envelope", "envelope-dsn"];
if envelope :domain "ret" "x" { discard; }

### RFC 6009 section 3: without the extension
# refused: the notify of the envelope needs: require "envelope-dsn"
require ["envelope"];
if envelope "notify" "x" { discard; }
