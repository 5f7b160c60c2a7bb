### RFC 5231 section 6: addresses are counted one by one, fields by the field
# counted: fileinto three; fileinto fields
require ["relational", "comparator-i;ascii-numeric", "fileinto"];
if address :count "ge" :comparator "i;ascii-numeric" ["to", "cc"] ["3"] { fileinto "three"; }
if anyof (address :count "ge" :comparator "i;ascii-numeric" ["to"] ["3"],
          address :count "ge" :comparator "i;ascii-numeric" ["cc"] ["3"]) { fileinto "not in one"; }
if header :count "ge" :comparator "i;ascii-numeric" ["received"] ["3"] { fileinto "not so many"; }
if header :count "ge" :comparator "i;ascii-numeric" ["received", "subject"] ["3"] { fileinto "fields"; }
if header :count "ge" :comparator "i;ascii-numeric" ["to", "cc"] ["3"] { fileinto "not fields"; }

### RFC 5231 section 7: the extended example
# counted: fileinto Priority
# parts: fileinto From A-M
# rich: fileinto From N-Z
require ["relational", "comparator-i;ascii-numeric", "fileinto"];
if header :value "lt" :comparator "i;ascii-numeric" ["x-priority"] ["3"] { fileinto "Priority"; }
elsif address :count "gt" :comparator "i;ascii-numeric" ["to"] ["5"] { fileinto "SPAM"; }
elsif address :value "gt" :all :comparator "i;ascii-casemap" ["from"] ["M"] { fileinto "From N-Z"; }
else { fileinto "From A-M"; }
if allof (address :count "eq" :comparator "i;ascii-numeric" ["to", "cc"] ["1"],
          address :all :comparator "i;ascii-casemap" ["to", "cc"] ["me@foo.example.com"]) { fileinto "Only me"; }

### RFC 5231 section 4: a relation that there is not
# refused: :value takes one of gt, ge, lt, le, eq, ne
require "relational";
if header :value "near" "x-priority" "3" { discard; }
