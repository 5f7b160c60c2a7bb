### RFC 4790 section 9.1: the digits in front count, what has none is above all numbers
# counted: discard
require ["comparator-i;ascii-numeric", "relational"];
if allof (header :comparator "i;ascii-numeric" "x-priority" ["01", "7"],
          header :comparator "i;ascii-numeric" :value "gt" "subject" "4294967295",
          header :comparator "i;ascii-numeric" :value "eq" "subject" "x") { discard; }

### RFC 4790 section 9.1.1: it knows no parts of strings
# refused: this comparator knows no :contains
require "comparator-i;ascii-numeric";
if header :contains :comparator "i;ascii-numeric" "x-priority" "1" { discard; }
