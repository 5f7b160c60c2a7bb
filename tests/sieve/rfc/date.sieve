### RFC 5260 section 4.1: weekends and before nine in Los Angeles
# coyote: discard
require ["date", "relational"];
if allof (date :value "ge" :originalzone "date" "hour" "09", date :value "lt" :originalzone "date" "hour" "17",
          not date :is :originalzone "date" "weekday" ["0", "6"]) { discard; }

### RFC 5260 section 4.2: each part of a date
# coyote: discard
require "date";
if allof (date :zone "+0000" "date" "year" "1997", date :zone "+0000" "date" "month" "04",
          date :zone "+0000" "date" "day" "01", date :zone "+0000" "date" "date" "1997-04-01",
          date :zone "+0000" "date" "julian" "50539", date :zone "+0000" "date" "hour" "17",
          date :zone "+0000" "date" "minute" "06", date :zone "+0000" "date" "second" "31",
          date :zone "+0000" "date" "time" "17:06:31", date :originalzone "date" "zone" "-0800",
          date :originalzone "date" "iso8601" "1997-04-01T09:06:31-08:00",
          date :originalzone "date" "std11" "Tue, 01 Apr 1997 09:06:31 -0800",
          date :originalzone "date" "weekday" "2") { discard; }

### RFC 5260 section 5: only until the end of June 2007
# given: now = 1183200000
# coyote: redirect me@example.com
require ["date", "relational"];
if allof (currentdate :value "ge" "date" "2007-06-30", currentdate :value "lt" "date" "2007-07-01") {
    redirect "me@example.com";
}

### RFC 5260 section 4: a date that is not there has no parts
# rich: discard
require ["date", "relational", "comparator-i;ascii-numeric"];
if date :count "eq" :comparator "i;ascii-numeric" "resent-date" "year" "0" { discard; }

### RFC 5260 section 4.2: a part that no date has
# refused: a date has no part 'century'
require "date";
if currentdate "century" "21" { discard; }
