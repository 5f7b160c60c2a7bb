### flags for what is implied
# on: bill list
require "imap4flags";
setflag "\\Seen";
if exists "list-id" { addflag ["\\Flagged", "list"]; }

### set, add, remove
# on: bill list
require ["imap4flags", "fileinto"];
setflag ["\\Seen", "\\Answered"];
addflag ["\\DELETED", "one two"];
removeflag ["\\seen", "TWO", "three"];
fileinto "A";
removeflag "one";
keep;

### flags of an action
# on: bill
require ["imap4flags", "fileinto"];
setflag "\\Seen";
fileinto :flags "\\Flagged \\Draft" "A";
fileinto :flags ["$Important", "a", "A", "b"] "B";
keep :flags "";

### hasflag
# on: bill list
require ["imap4flags", "relational", "comparator-i;ascii-numeric"];
if exists "list-id" { setflag "\\Flagged"; }
addflag "Two three";
if hasflag "\\flagged" { redirect "flagged@there.example"; }
if hasflag :contains ["thr", "x"] { redirect "three@there.example"; }
if hasflag :matches "T?o" { redirect "two@there.example"; }
if hasflag :count "ge" :comparator "i;ascii-numeric" "3" { redirect "count@there.example"; }

### hasflag of none
# on: bill
require "imap4flags";
if hasflag "" { discard; }
if not hasflag "\\Seen" { redirect "none@there.example"; }

### flags in variables
# on: bill
require ["imap4flags", "variables", "fileinto"];
setflag "mine" ["\\Seen", "work work"];
addflag "mine" "Home";
removeflag "mine" "\\Seen";
if hasflag "mine" "work" { fileinto "${mine}"; }
fileinto :flags "${mine}" "A";
setflag "${mine} more";

### hasflag of several variables
# on: bill
require ["imap4flags", "variables", "relational", "comparator-i;ascii-numeric"];
set "a" "one two";
set "b" "two three";
if hasflag :count "eq" :comparator "i;ascii-numeric" ["a", "b"] "4" { redirect "four@there.example"; }
if hasflag :count "eq" :comparator "i;ascii-numeric" ["a", "b"] "3" { redirect "three@there.example"; }
if hasflag ["a", "b"] ["three"] { discard; }

### a flag of the system that is none
# on: bill
require "imap4flags";
addflag ["\\Recent", "\\Nonsense", "good"];

### flags with characters that no flag has
# on: bill
require "imap4flags";
addflag ["a(b", "c{d", "e%f", "good"];

### a variable without variables
# on: bill
require "imap4flags";
setflag "a" "b";

### flags without the capability
# on: bill
keep :flags "\\Seen";

### flags come after
# on: bill
require ["imap4flags", "fileinto", "copy"];
fileinto :copy "A";
addflag "\\Seen";
fileinto :copy "B";
removeflag "\\Seen";
