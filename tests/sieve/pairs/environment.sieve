### an item that nobody knows
# on: bill
require "environment";
if environment :contains "vnd.nobody.knows" "" { discard; }
elsif not environment "also-unknown" "x" { redirect "unknown@there.example"; }

### without its capability
# on: bill
if environment "name" "a" { discard; }

### with a comparator that is none
# on: bill
require "environment";
if environment :comparator "i;nothing" "name" "a" { discard; }
