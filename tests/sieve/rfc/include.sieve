### RFC 6609 section 3.2: what always has to come, from a script of one's own
# parts: fileinto Work
# coyote: keep
require "include";
include :personal "always_allow";

### RFC 6609 section 3.4.1: a script of everybody, and what it says in a global variable
# rich: fileinto spam-money
# coyote: keep
require ["include", "variables", "fileinto", "relational", "comparator-i;ascii-numeric"];
global "test_mailbox";
include :global "spam_tests";
if not string :is "${test_mailbox}" "" { fileinto "${test_mailbox}"; stop; }

### RFC 6609 section 3.4.2: the namespace
# rich: fileinto spam-money
require ["include", "variables", "fileinto"];
include :global "spam_tests";
fileinto "${global.test_mailbox}";

### RFC 6609 section 3.3: return leaves the script alone
# coyote: keep
require "include";
return;
discard;

### RFC 6609 section 3.2: once, and one that may be missing
# parts: fileinto Work
require "include";
include :once "always_allow";
include :once "always_allow";
include :optional "there_is_none";

### RFC 6609 section 3.2: one that must not
# refused: there is no personal script 'there_is_none'
require "include";
include "there_is_none";
