### never seen
require ["duplicate", "fileinto"];
if duplicate { discard; }

### by a field that is there or not
# on: bill odd
require "duplicate";
if duplicate :header "x-total" { discard; }

### by what was made
# on: bill
require ["duplicate", "variables"];
if header :matches "subject" "*" { set "a" "${1}"; }
if duplicate :uniqueid "${a}" :handle "subjects" :seconds 60 :last { discard; }

### two handles
# on: bill
require "duplicate";
if duplicate :handle "a" { discard; }
if duplicate :handle "b" { discard; }

### the same asked twice
# on: bill
# differs on all: Pigeonhole cannot remember one thing twice
require "duplicate";
if duplicate { keep; }
if duplicate { discard; }

### header and uniqueid
# on: bill
require "duplicate";
if duplicate :header "x-tag" :uniqueid "a" { discard; }

### without its capability
# on: bill
if duplicate { discard; }
