### RFC 5235 section 3.2.2: clear of spam
# given: spam = -1 of 5
# coyote: fileinto INBOX.not-spam
require ["spamtestplus", "fileinto", "relational", "comparator-i;ascii-numeric"];
if spamtest :value "eq" :comparator "i;ascii-numeric" "0" { fileinto "INBOX.unclassified"; }
elsif spamtest :percent :value "eq" :comparator "i;ascii-numeric" "0" { fileinto "INBOX.not-spam"; }
elsif spamtest :percent :value "lt" :comparator "i;ascii-numeric" "37" { fileinto "INBOX.spam-trap"; }
else { discard; }

### RFC 5235 section 3.2.2: perhaps, and surely
# given: spam = 5 of 5
# coyote: fileinto half
require ["spamtestplus", "fileinto"];
if spamtest :percent "50" { fileinto "half"; }

### RFC 5235 section 3.2: it takes one value
# refused: spamtest takes a string
require "spamtestplus";
if spamtest ["1", "2"] { discard; }
