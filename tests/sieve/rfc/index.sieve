### RFC 5260 section 6.1: the second Received from above, the first from below
# counted: fileinto second; fileinto last
require ["date", "relational", "index", "fileinto"];
if date :value "ge" :index 2 :zone "-0500" "received" "iso8601" "2007-02-26T08:00:00-05:00" { fileinto "second"; }
if header :index 1 :last :contains "received" "from c.example.com" { fileinto "last"; }
if header :index 3 :contains "received" "from" { fileinto "third"; }

### RFC 5260 section 6: it counts from 1
# refused: :index counts from 1
require "index";
if header :index 0 "received" "a" { discard; }

### RFC 5260 section 6: the last of what
# refused: :last needs :index
require "index";
if header :last "received" "a" { discard; }
