### nothing is said
# on: bill list parts odd bounce bare

### keep
# on: bill odd bare
keep;

### discard, and no more is done
# on: bill list
discard;
stop;
keep;

### discard and keep
# on: bill
discard;
keep;

### keep twice is keep once
# on: bill
keep;
keep;

### redirect, in whatever case
# on: bill list
redirect "dan@there.example";
redirect "dan@THERE.example";

### redirect four times
# on: bill
redirect "a@there.example";
redirect "b@there.example";
redirect "c@there.example";
redirect "d@there.example";

### redirect and keep
# on: bill
redirect "Dan <dan@there.example>";
keep;

### header is one of many
# differs on odd: Pigeonhole leaves the blank in front of a value that begins on its second line
if header "subject" ["pictures and papers", "[talk] Grüße aus Köln", "folded over	three   lines", "folded over three   lines"] { discard; }

### header is nothing, and nothing is not absent
if header :is ["x-tag", "x-empty"] "" { discard; }

### header contains nothing, which all that exist do
if header :contains "x-tag" "" { discard; }

### header contains, in any case
if header :contains ["subject", "from"] ["bill", "mailer-daemon", "FOLDED"] { discard; }

### header contains, in the case it is written
if header :comparator "i;octet" :contains ["subject", "from"] ["bill", "Carl", "FOLDED"] { discard; }

### only ASCII letters lose their case
if header :contains ["subject", "x-utf"] ["GRÜSSE", "grÜße", "GRüßE"] { discard; }

### header matches with stars
if header :matches "subject" ["*[*] *must*paid?", "p*s and p*s", "*over*lines"] { discard; }

### header matches with question marks
# differs on list: a question mark is one character; for Pigeonhole it is one octet of it
if header :matches "subject" ["[talk] Gr??e aus K?ln", "pi?tures*", "*ov?r*lin??"] { discard; }

### question marks in front, and what does not stand behind them
# on: bill list
# differs on all: Pigeonhole does not compare what stands between question marks at the beginning and a star
if header :matches "subject" ["??? nowhere *", "?nowhere*"] { discard; }

### header matches what is behind a backslash literally
if header :matches "subject" ["*\\*must\\* be paid\\?", "\\p*"] { discard; }

### a backslash of the text matches two of the pattern
if header :matches "x-quoted" "*\\\\*" { discard; }

### a quoted value is as it is written
if header :is "x-quoted" "\"a \\\"b\\\" c\"" { discard; }

### a folded value is one line
if header :contains "x-long" "0123456789 0123456789" { discard; }

### spaces around a value do not count
if header :is "x-tag" ["spaces around", "second"] { discard; }

### bytes that are no UTF-8
# on: odd
if header :contains "x-latin" "Gr" { discard; }

### names of fields in any case
if header :contains ["SUBJECT", "x-TAG"] ["Second", "PICTURES"] { discard; }

### encoded words are read
if header :is "from" "Jürgen Müller <juergen@there.example>" { discard; }

### exists needs all of them
if exists ["from", "date", "x-tag"] { discard; }

### not exists
if not exists ["x-tag", "x-nothing"] { discard; }

### address is the whole address
if address "from" ["ann.smith+ORDERS@shop.example", "carl@there.example", "odd@odd.example"] { discard; }

### address of several fields
if address :is ["to", "cc"] ["dan@there.example", "two@b.example", "team+news@here.example"] { discard; }

### address by its domain
if address :domain :is ["from", "sender"] ["SHOP.example", "lists.example"] { discard; }

### address by its local part
if address :localpart :matches "from" ["ann*", "c??l", "odd"] { discard; }

### address in other case by octets
if address :comparator "i;octet" :domain "from" ["shop.example", "there.example"] { discard; }

### address contains part of the domain
if address :contains :domain "from" "example" { discard; }

### address all contains what goes over the at sign
if address :all :contains ["from", "to"] ["@there", "+bills@"] { discard; }

### the name of a person is no part of the address
if address :contains "from" ["Shop\"", "Carl <", "Odd One"] { discard; }

### a name that looks like an address
if address "to" "me@here.example" { discard; }

### groups have members
if address :domain "cc" ["a.example", "b.example", "c.example"] { discard; }

### what stands in a group without anybody
# differs on odd: a group without members has no address; Pigeonhole takes the whole field for one
if address :contains "to" "undisclosed" { discard; }

### the return path is a field of addresses
# differs on all: we take it for one, which RFC 5228 section 5.1 leaves open
if address :domain "return-path" ["shop.example", "there.example"] { discard; }

### anyof stops at the first that holds
# on: bill list parts
if anyof (false, exists "x-total", header :contains "subject" "pictures") { discard; }

### allof wants all
# on: bill list parts
if allof (true, exists "x-priority", not header :contains "subject" "pictures") { discard; }

### elsif and else
if header :contains "subject" "bill" { redirect "bill@there.example"; }
elsif exists "list-id" { redirect "list@there.example"; }
elsif address :is :localpart "from" "carl" { discard; }
else { redirect "else@there.example"; }

### stop inside of blocks
# on: bill list
if true { if exists "list-id" { if true { stop; } } }
discard;

### size over and under
if size :over 1K { discard; }
elsif size :under 500 { redirect "small@there.example"; }

### size is that of the lines as they are sent
# on: bare odd
if allof (size :over 22, size :under 24) { discard; }

### comments where they may stand
# on: bill
if /* a test */ header # of the header
   :contains /* anywhere */ "subject" "BILL" /* in * any / case **/ {
   /**/ discard /* and */ ; # no more
}

### text over many lines, with dots
# on: bill list
if header :is "subject" text: # not this
..
.
{ keep; }
redirect text:
dan@there.example
.
;

### strings over two lines
# on: bill
if header :contains "subject" "no
such" { discard; }

### letters that need no backslash
# on: bill parts
if header :contains "subject" "\b\i\l\l" { discard; }

### names that no field has match nothing, and are no fault
# on: bill
if header :contains ["from:", "", "no such", "Größe"] "" { discard; }
if exists "from:" { discard; }

### addresses without a host
# on: nobody
require ["fileinto"];
if address :all "from" "root" { fileinto "all"; }
if address :localpart "from" "root" { fileinto "local"; }
if address :domain "from" "" { fileinto "domain"; }
if address :all "cc" "bob@there.example" { fileinto "bob"; }
if address :localpart "cc" "bob" { fileinto "bob local"; }
