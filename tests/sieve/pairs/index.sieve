### the second
# on: bill list odd
# differs on odd: we count the fields of each name, Pigeonhole those of all names
require "index";
if header :index 2 ["x-tag", "subject"] ["second", "a second subject"] { discard; }

### the last
# on: bill list odd
require "index";
if header :index 1 :last "x-tag" ["third", ""] { discard; }

### more than there are
# on: bill
require "index";
if header :index 4 :contains "x-tag" "" { discard; }
elsif header :index 4 :last :contains "x-tag" "" { discard; }

### of addresses
# on: bill parts
require "index";
if address :index 2 "to" "team+news@here.example" { discard; }
elsif address :index 1 "cc" "dan@there.example" { redirect "dan@there.example"; }

### zero
# on: bill
require "index";
if header :index 0 :contains "x-tag" "" { discard; }

### last without index
# on: bill
require "index";
if header :last :contains "x-tag" "" { discard; }

### without its capability
# on: bill
if header :index 1 "x-tag" "first" { discard; }
