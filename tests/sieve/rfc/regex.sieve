### draft-murchison-sieve-regex section 4: an address in three countries
# list: discard
require "regex";
if address :comparator "i;ascii-casemap" :regex "from" "[a-z]+@example\\.(net|org|com)" { discard; }

### draft-murchison-sieve-regex section 5: what its groups found
# list: fileinto lists.acme-users
require ["regex", "fileinto", "variables"];
if header :regex "subject" "^\\[([^]]*)\\]" { fileinto "lists.${1}"; }

### draft-murchison-sieve-regex section 6: a text that is to be found as it is
# rich: discard
require ["regex", "variables"];
set :quoteregex "what" "$$$ YOU, TOO";
if header :regex "subject" "^${what}" { discard; }

### draft-murchison-sieve-regex section 4: what is no expression
# refused: cannot be used as a regular expression
require "regex";
if header :regex "subject" "(a" { discard; }
