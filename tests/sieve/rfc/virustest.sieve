### RFC 5235 section 3.3: not looked at, or surely one
# given: virus = infected
# coyote: discard
require ["virustest", "fileinto", "relational", "comparator-i;ascii-numeric"];
if virustest :value "eq" :comparator "i;ascii-numeric" "0" { fileinto "INBOX.unclassified"; }
if virustest :value "eq" :comparator "i;ascii-numeric" "4" { fileinto "INBOX.quarantine"; }
elsif virustest :value "eq" :comparator "i;ascii-numeric" "5" { discard; }

### RFC 5235 section 3.1: whether it was looked at is a count
# coyote: discard
require ["virustest", "relational", "comparator-i;ascii-numeric"];
if allof (virustest :count "eq" :comparator "i;ascii-numeric" "0", virustest "0") { discard; }

### RFC 5235 section 3.3: no percents of viruses
# refused: virustest takes no :percent
require ["virustest", "spamtestplus"];
if virustest :percent "50" { discard; }
