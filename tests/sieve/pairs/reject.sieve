### reject
# on: bill list parts odd
require "reject";
if address :domain "from" ["shop.example", "odd.example"] { reject "Not from you."; }

### over many lines
# on: bill
require "reject";
reject text:
Not this.
..
Nor that.
.
;

### with variables
# on: bill
require ["reject", "variables"];
if header :matches "subject" "*BILL*" { reject "No ${1}${2}"; }

### and keep
# on: bill
require "reject";
keep;
reject "no";

### and fileinto
# on: bill
require ["reject", "fileinto"];
fileinto "A";
reject "no";

### and redirect
# on: bill
require "reject";
redirect "dan@there.example";
reject "no";

### and discard
# on: bill
require "reject";
discard;
reject "no";

### twice
# on: bill
require "reject";
reject "no";
reject "never";

### and vacation
# on: bill
require ["reject", "vacation"];
vacation "away";
reject "no";

### without its capability
# on: bill
reject "no";

### ereject
# on: bill
# differs on bill: Pigeonhole 0.5.19 does not have it
require "ereject";
ereject "no";
