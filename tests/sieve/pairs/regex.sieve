### what is found
require ["regex", "variables", "fileinto"];
if header :regex "subject" "([a-z]+) *\\[?([a-z]+)" { fileinto "${0}|${1}|${2}"; }

### in any case and in its own
# differs on odd: Pigeonhole leaves the blank in front of a value that begins on its second line
require "regex";
if header :comparator "i;octet" :regex "subject" "bill|^pictures" { discard; }
elsif header :regex "subject" "bill|^FOLDED" { redirect "case@there.example"; }

### the longest of the leftmost
# on: bill
require ["regex", "variables", "fileinto"];
if header :regex "x-tag" "f|fir|first" { fileinto "${0}"; }

### bounds, classes and ends
require "regex";
if header :regex "x-priority" "^[0-9]{1,2}$" { discard; }
elsif header :regex "x-priority" "^[[:digit:]] +\\([[:upper:]][[:lower:]]+\\)$" { redirect "class@there.example"; }

### a group that took no part
# on: bill parts
require ["regex", "variables", "fileinto"];
if header :regex "subject" "(BILL)|(papers)" { fileinto "[${1}][${2}]"; }

### of an address
require "regex";
if address :localpart :regex "from" "^ann\\.[a-z]+\\+" { discard; }

### of a variable
# on: bill
require ["regex", "variables", "fileinto"];
set "a" "one=1, two=2";
if string :regex "${a}" "two=([0-9])" { fileinto "${1}"; }

### quoted
# on: bill
# differs on all: Pigeonhole 0.5.19 has no :quoteregex
require ["regex", "variables"];
set :quoteregex "a" "[October] *must*";
if header :regex "subject" "${a}" { discard; }

### an open bracket
# on: bill
require "regex";
if header :regex "subject" "[a" { discard; }

### an open group
# on: bill
require "regex";
if header :regex "subject" "(a" { discard; }

### nothing to repeat
# on: bill
require "regex";
if header :regex "subject" "*a" { discard; }

### a reference back
# on: bill
# differs on all: our expressions take linear time, which leaves no room for it
require "regex";
if header :regex "subject" "(a)\\1" { discard; }

### of numbers
# on: bill
require ["regex", "comparator-i;ascii-numeric"];
if header :comparator "i;ascii-numeric" :regex "x-priority" "1" { discard; }

### without its capability
# on: bill
if header :regex "subject" "a" { discard; }
