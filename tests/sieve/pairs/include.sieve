### of the owner
require ["include", "variables", "fileinto"];
global "total";
include "bills";
if string "${total}" "seen by bills" { fileinto "after ${local}."; }

### that stops
# on: bill list
require "include";
include :personal "stops";
discard;

### of everybody
require ["include", "fileinto"];
include :global "company";
fileinto "after";

### once
# on: bill
require ["include", "variables", "fileinto"];
global "count";
include "counts";
include :once "counts";
include :once "counts";
fileinto "c${count}";

### twice
# on: bill
require ["include", "variables", "fileinto"];
global "count";
include "counts";
include "counts";
fileinto "c${count}";

### variables by their whole name
# on: bill
require ["include", "variables", "fileinto"];
set "global.count" "x";
include "counts";
fileinto "c${global.count}";

### return at the top
# on: bill
require ["include", "fileinto"];
if true { fileinto "A"; return; }
discard;

### one that is not there
# on: bill
require "include";
include "nowhere";

### one that is not there, and need not be
# on: bill
require "include";
include :optional "nowhere";
discard;

### itself
# on: bill
require "include";
include "itself";

### from both places
# on: bill
require "include";
include :personal :global "bills";

### without its capability
# on: bill
include "bills";
