### RFC 5051 section 2: no letter has a case
# coyote: discard
require ["comparator-i;unicode-casemap", "variables"];
if allof (string :comparator "i;unicode-casemap" "É" "é", not string "É" "é") { discard; }

### RFC 5051: without the capability
# refused: the comparator i;unicode-casemap needs: require "comparator-i;unicode-casemap"
if header :comparator "i;unicode-casemap" "subject" "é" { discard; }
