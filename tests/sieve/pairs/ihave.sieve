### what there is
# on: bill
# differs on all: a word that is none fails where it is reached, in scripts with ihave (RFC 5463)
require ["ihave"];
if ihave "fileinto" { require_no_more; }

### what there is, used
# on: bill
require "ihave";
if ihave ["fileinto", "copy"] { fileinto :copy "A"; }

### what there is not
# on: bill
require "ihave";
if ihave "nonsense" { nonsense "A"; } else { redirect "else@there.example"; }

### what there is not, in a test
# on: bill
require "ihave";
if allof (ihave "nonsense", nonsense "a" "b") { discard; }

### not
# on: bill
require "ihave";
if not ihave ["fileinto", "nonsense"] { discard; }

### error
# on: bill
require ["ihave", "fileinto"];
fileinto "A";
error "it cannot be done";

### error that is not reached
# on: bill
require "ihave";
if not ihave "fileinto" { error "no"; }

### without its capability
# on: bill
if ihave "fileinto" { discard; }
