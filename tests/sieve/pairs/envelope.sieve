### from
# on: bill list parts bounce
require "envelope";
if envelope "from" ["bounces+1234@SHOP.example", "carl@there.example"] { discard; }

### to, where an alias was written
# on: bill
require "envelope";
if envelope "to" "me+work@here.example" { discard; }

### parts of both
# on: bill list parts odd bounce
require "envelope";
if envelope :domain ["from", "to"] ["lists.example", "odd.example"] { discard; }

### in other case of the name
# on: bill
require "envelope";
if envelope :contains "FROM" "1234" { discard; }

### a part of the envelope that is none
# on: bill
require "envelope";
if envelope "subject" "x" { discard; }

### as many as there are
# on: bill bounce
require ["envelope", "relational", "comparator-i;ascii-numeric"];
if envelope :count "eq" :comparator "i;ascii-numeric" ["from", "to"] "2" { discard; }
