### what was added is there
require ["editheader", "index", "variables", "fileinto"];
addheader "X-Tag" "zero";
addheader :last "X-Tag" "end";
if header :index 1 :matches "x-tag" "*" { fileinto "first ${1}"; }
if header :index 1 :last :matches "x-tag" "*" { fileinto "last ${1}"; }

### what was deleted is not
require ["editheader", "relational", "comparator-i;ascii-numeric"];
deleteheader "X-Tag";
if exists "x-tag" { discard; }

### by its value
# on: bill odd
require ["editheader", "variables", "fileinto", "index"];
deleteheader :contains "X-Tag" ["FIR", "spaces"];
if header :index 1 :matches "x-tag" "*" { fileinto "${1}"; }

### by its place
# on: bill
require ["editheader", "variables", "fileinto", "index"];
deleteheader :index 1 :last "X-Tag";
if header :index 1 :last :matches "x-tag" "*" { fileinto "${1}"; }
deleteheader :index 2 :is "X-Tag" "nothing like it";
if header :index 1 :last :matches "x-tag" "*" { fileinto "${1}"; }

### a new subject, with letters beyond ASCII
# on: bill list
require ["editheader", "variables", "fileinto"];
if header :matches "subject" "*" {
    deleteheader "Subject";
    addheader :last "Subject" "Grüße: ${1}";
}
if header :matches "subject" "*" { fileinto "${1}"; }

### a sender that is tested
# on: bill
require ["editheader", "fileinto"];
deleteheader "from";
addheader "From" "New <new@there.example>";
if address "from" "new@there.example" { fileinto "new"; }

### Received stays
# on: bill
require "editheader";
deleteheader "Received";
if exists "received" { discard; }

### Auto-Submitted stays
# on: bounce
require "editheader";
deleteheader "Auto-Submitted";
if exists "auto-submitted" { discard; }

### the subject may go
# on: bill
require "editheader";
deleteheader "Subject";
if not exists "subject" { discard; }

### a name that is none
# on: bill
require "editheader";
addheader "X Tag" "a";

### a name with a colon
# on: bill
require "editheader";
deleteheader "X-Tag:";

### a body is not changed
# on: bill
require ["editheader", "body"];
addheader "X-New" "a";
if body :raw :contains "Pay it soon" { discard; }

### without its capability
# on: bill
addheader "X-Tag" "a";
