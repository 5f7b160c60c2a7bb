### RFC 5228 section 2.7.3: it is what is meant when nothing is said; letters of ASCII have no case
# coyote: discard
require ["comparator-i;ascii-casemap", "variables"];
if allof (header :comparator "i;ascii-casemap" :contains "subject" "A PRESENT", header :contains "subject" "A PRESENT",
          not string "é" "É") { discard; }

### RFC 5228 section 2.7.3: once is enough
# refused: :comparator stands here twice
require "comparator-i;ascii-casemap";
if header :comparator "i;ascii-casemap" :comparator "i;octet" "subject" "a" { discard; }
