### parts of the Date, in its own zone
require ["date", "variables", "fileinto"];
if date :originalzone :matches "date" "std11" "*" { fileinto "std11 ${1}"; }
if date :originalzone :matches "date" "iso8601" "*" { fileinto "iso ${1}"; }
if date :originalzone :matches "date" "zone" "*" { fileinto "zone ${1}"; }
if date :originalzone :matches "date" "weekday" "*" { fileinto "weekday ${1}"; }
if date :originalzone :matches "date" "julian" "*" { fileinto "julian ${1}"; }
if date :originalzone :matches "date" "hour" "*" { fileinto "hour ${1}"; }

### parts of the Date, in a zone that is given
require ["date", "variables", "fileinto"];
if date :zone "+1345" :matches "date" "year" "*" { fileinto "year ${1}"; }
if date :zone "+1345" :matches "date" "month" "*" { fileinto "month ${1}"; }
if date :zone "+1345" :matches "date" "day" "*" { fileinto "day ${1}"; }
if date :zone "+1345" :matches "date" "date" "*" { fileinto "date ${1}"; }
if date :zone "-0330" :matches "date" "time" "*" { fileinto "time ${1}"; }
if date :zone "-0330" :matches "date" "minute" "*" { fileinto "minute ${1}"; }
if date :zone "-0330" :matches "date" "second" "*" { fileinto "second ${1}"; }
if date :zone "-0330" :matches "date" "zone" "*" { fileinto "zone ${1}"; }

### in the zone of the house
# differs on bill list parts: Pigeonhole writes Z for +00:00
require ["date", "variables", "fileinto"];
if date :matches "date" "iso8601" "*" { fileinto "${1}"; }

### Received
# on: bill list odd
# differs on bill list: Pigeonhole takes the first field whatever :index says
require ["date", "index", "variables", "fileinto"];
if date :originalzone :matches "received" "iso8601" "*" { fileinto "first ${1}"; }
if date :index 2 :originalzone :matches "received" "iso8601" "*" { fileinto "second ${1}"; }
if date :index 1 :last :originalzone :matches "received" "iso8601" "*" { fileinto "last ${1}"; }

### a relation
require ["date", "relational"];
if date :value "ge" :zone "+0000" "date" "date" "2025-12-31" { discard; }
elsif date :value "lt" :zone "+0000" "date" "hour" "16" { redirect "early@there.example"; }

### a part in other case
# on: bill
require "date";
if date :zone "+0000" "date" "YEAR" "2025" { discard; }

### currentdate
# on: bill
require ["date", "relational"];
if allof (currentdate :value "ge" "date" "2024-01-01", currentdate :value "lt" "year" "2100") { discard; }

### currentdate has a zone
# on: bill
require "date";
if currentdate :zone "+0530" "zone" "+0530" { discard; }

### currentdate in its own zone
# on: bill
require "date";
if currentdate :originalzone "zone" "+0530" { discard; }

### a zone that is none
# on: bill
# differs on all: we refuse it when the script is checked
require "date";
if date :zone "CET" "date" "year" "2025" { discard; }

### two zones
# on: bill
require "date";
if date :zone "+0100" :originalzone "date" "year" "2025" { discard; }

### a part that is none
# on: bill
# differs on all: we refuse it when the script is checked
require "date";
if date "date" "century" "20" { discard; }

### without its capability
# on: bill
if date "date" "year" "2025" { discard; }

### a field without a date
# on: bill list
require "date";
if date :contains "subject" "year" "" { discard; }

### a zone by its old name
# on: nobody
require ["date", "fileinto"];
if date :originalzone "date" "zone" "-0800" { fileinto "zone"; }
if date :originalzone "date" "hour" "09" { fileinto "hour"; }
if date :zone "+0000" "date" "hour" "17" { fileinto "utc"; }
