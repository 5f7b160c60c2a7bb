### a command that is none
# on: bill
kep;

### a test that is none
# on: bill
if heder "a" "b" { keep; }

### an extension that is none
# on: bill
require "nonsense";

### an extension that is not required
# on: bill
fileinto "A";

### require behind a command
# on: bill
keep; require "fileinto";

### no semicolon
# on: bill
keep

### no block
# on: bill
if true keep;

### an open block
# on: bill
if true { keep;

### a brace too many
# on: bill
if true { keep; } }

### an open string
# on: bill
redirect "a@b.example;

### an open comment
# on: bill
keep; /* until

### an open text
# on: bill
redirect text:
a@b.example
;

### else without if
# on: bill
else { keep; }

### else twice
# on: bill
if true { keep; } else { keep; } else { discard; }

### elsif behind else
# on: bill
if true { keep; } else { keep; } elsif true { discard; }

### if without a test
# on: bill
if { keep; }

### a command for a test
# on: bill
if keep { discard; }

### a test for a command
# on: bill
true;

### a tag that header does not know
# on: bill
if header :user "from" "ann" { keep; }

### two match types
# on: bill
if header :is :contains "from" "ann" { keep; }

### two address parts
# on: bill
if address :domain :localpart "from" "ann" { keep; }

### two comparators
# on: bill
if header :comparator "i;octet" :comparator "i;octet" "from" "ann" { keep; }

### a comparator that is none
# on: bill
if header :comparator "i;klingon" "from" "ann" { keep; }

### size without a side
# on: bill
if size 100 { keep; }

### size with both sides
# on: bill
if size :over :under 100 { keep; }

### size of a string
# on: bill
if size :over "100" { keep; }

### a number with a wrong letter
# on: bill
if size :over 100T { keep; }

### a number beyond all bounds
# on: bill
if size :over 99999999999999999999 { keep; }

### redirect to no address
# on: bill
redirect "nobody";

### redirect to two addresses
# on: bill
redirect "a@b.example, c@d.example";

### redirect to a list of strings
# on: bill
redirect ["a@b.example"];

### keep with an argument
# on: bill
keep "there";

### not with two tests
# on: bill
if not (true, false) { keep; }

### anyof without parentheses
# on: bill
if anyof true { keep; }

### anyof of nothing
# on: bill
if anyof () { keep; }

### an empty list
# on: bill
if header [] "a" { keep; }

### a list with a comma too many
# on: bill
if header ["a", ] "b" { keep; }

### address of a field without addresses
# on: bill
if address "subject" "a@b.example" { keep; }

### a NUL-like control character between commands
# on: bill
keep;  discard;

### one fault behind a command that never comes to it
# on: bill
discard; stop; nonsense;

### a block behind keep
# on: bill
keep { discard; }

### arguments out of order
# on: bill
if header "from" :contains "ann" { discard; }
