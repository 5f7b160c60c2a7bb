### was it tested
require ["spamtest", "relational", "comparator-i;ascii-numeric"];
if spamtest :value "eq" :comparator "i;ascii-numeric" "0" { redirect "untested@there.example"; }

### is it spam
require ["spamtest", "relational", "comparator-i;ascii-numeric"];
if spamtest :value "ge" :comparator "i;ascii-numeric" "5" { redirect "spam@there.example"; }

### is it surely none
require ["spamtest", "relational", "comparator-i;ascii-numeric"];
if spamtest :value "le" :comparator "i;ascii-numeric" "2" { redirect "ham@there.example"; }

### in percent
require ["spamtestplus", "relational", "comparator-i;ascii-numeric"];
if spamtest :percent :value "ge" :comparator "i;ascii-numeric" "50" { redirect "half@there.example"; }
elsif spamtest :percent :value "ge" :comparator "i;ascii-numeric" "30" { redirect "third@there.example"; }

### was it tested, by count
# differs on odd: Pigeonhole counts one value where nothing was tested
require ["spamtestplus", "relational", "comparator-i;ascii-numeric"];
if spamtest :count "eq" :comparator "i;ascii-numeric" "0" { redirect "untested@there.example"; }

### percent without its capability
# on: bill
require ["spamtest", "relational", "comparator-i;ascii-numeric"];
if spamtest :percent :value "ge" :comparator "i;ascii-numeric" "50" { discard; }

### a virus
require ["virustest", "relational", "comparator-i;ascii-numeric"];
if virustest :value "eq" :comparator "i;ascii-numeric" "5" { discard; }
elsif virustest :value "eq" :comparator "i;ascii-numeric" "1" { redirect "clean@there.example"; }
elsif virustest :value "eq" :comparator "i;ascii-numeric" "0" { redirect "untested@there.example"; }

### a virus without its capability
# on: bill
if virustest "5" { discard; }
