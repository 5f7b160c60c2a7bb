### RFC 5235 section 3.2.1: not looked at
# coyote: fileinto INBOX.unclassified
require ["spamtest", "fileinto", "relational", "comparator-i;ascii-numeric"];
if spamtest :value "eq" :comparator "i;ascii-numeric" "0" { fileinto "INBOX.unclassified"; }
elsif spamtest :value "ge" :comparator "i;ascii-numeric" "3" { fileinto "INBOX.spam-trap"; }

### RFC 5235 section 3.2.1: looked at, and spam
# given: spam = 6 of 5
# coyote: fileinto INBOX.spam-trap
require ["spamtest", "fileinto", "relational", "comparator-i;ascii-numeric"];
if spamtest :value "eq" :comparator "i;ascii-numeric" "0" { fileinto "INBOX.unclassified"; }
elsif spamtest :value "ge" :comparator "i;ascii-numeric" "3" { fileinto "INBOX.spam-trap"; }

### RFC 5235 section 3.1: whether it was looked at is a count
# coyote: discard
require ["spamtest", "relational", "comparator-i;ascii-numeric"];
if spamtest :count "eq" :comparator "i;ascii-numeric" "0" { discard; }

### RFC 5235 section 3.2: percents are of spamtestplus
# refused: :percent needs: require "spamtestplus"
require "spamtest";
if spamtest :percent "50" { discard; }
