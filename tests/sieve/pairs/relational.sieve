### value of numbers
require ["relational", "comparator-i;ascii-numeric"];
if header :value "lt" :comparator "i;ascii-numeric" "x-priority" "3" { discard; }
elsif header :value "ge" :comparator "i;ascii-numeric" "x-priority" "10" { redirect "low@there.example"; }

### value of words
# differs on list: i;ascii-casemap makes capitals of letters (RFC 4790 section 9.2.1); Pigeonhole small ones, above [
require "relational";
if header :value "gt" "subject" "p" { discard; }
elsif header :value "le" "subject" "[" { redirect "early@there.example"; }

### no number is above all numbers
require ["relational", "comparator-i;ascii-numeric"];
if header :value "gt" :comparator "i;ascii-numeric" ["subject", "x-tag"] "999999999" { discard; }

### what is no number is equal to what is none
require "comparator-i;ascii-numeric";
if header :is :comparator "i;ascii-numeric" "subject" "anything" { discard; }

### numbers with what stands behind and zeros in front
require ["relational", "comparator-i;ascii-numeric"];
if header :is :comparator "i;ascii-numeric" ["x-priority", "x-total"] ["042", "3", "0000000000000000000010"] { discard; }

### count of fields
require ["relational", "comparator-i;ascii-numeric"];
if header :count "ge" :comparator "i;ascii-numeric" ["x-tag", "subject"] ["4"] { discard; }
elsif header :count "eq" :comparator "i;ascii-numeric" "received" "1" { redirect "one@there.example"; }

### count of addresses
# differs on odd: a group without members has no address; Pigeonhole takes the whole field for one
require ["relational", "comparator-i;ascii-numeric"];
if address :count "gt" :comparator "i;ascii-numeric" ["to", "cc"] "3" { discard; }
elsif address :count "eq" :comparator "i;ascii-numeric" ["to", "cc"] "2" { redirect "two@there.example"; }
elsif address :count "eq" :comparator "i;ascii-numeric" ["to", "cc"] "0" { redirect "none@there.example"; }

### not equal to some
require "relational";
if header :value "ne" "x-tag" "first" { discard; }

### a relation that is none
# on: bill
require "relational";
if header :value "near" "x-tag" "first" { discard; }

### a relation from a variable
# on: bill
require ["relational", "variables"];
set "how" "eq";
if header :value "${how}" "x-tag" "first" { discard; }

### contains of numbers
# on: bill
require "comparator-i;ascii-numeric";
if header :contains :comparator "i;ascii-numeric" "x-priority" "1" { discard; }

### matches of numbers
# on: bill
require "comparator-i;ascii-numeric";
if header :matches :comparator "i;ascii-numeric" "x-priority" "1" { discard; }

### numeric without its capability
# on: bill
if header :is :comparator "i;ascii-numeric" "x-priority" "1" { discard; }

### count without its capability
# on: bill
if header :count "eq" "x-priority" "1" { discard; }
