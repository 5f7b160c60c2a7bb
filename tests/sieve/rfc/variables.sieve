### RFC 5229 section 3: set, and what a match found
# list: fileinto INBOX.lists.acme-users
require ["fileinto", "variables"];
if header :matches "List-ID" "<*.lists.example.org>" { fileinto "INBOX.lists.${1}"; }

### RFC 5229 section 3.2: as short as can be, from the left
# list: redirect me@example.org; fileinto acme-users [fwd] version 1.0 is out
require ["fileinto", "variables"];
if header :matches "Subject" "[*] *" { redirect "me@example.org"; fileinto "${1} ${2}"; }

### RFC 5229 section 4: modifiers in the order of their precedence
# coyote: discard
require "variables";
set "a" "juMBlEd lETteRS";
set :length "b" "${a}";
set :lower "c" "${a}";
set :upperfirst "d" "${a}";
set :upperfirst :lower "e" "${a}";
set :quotewildcard "f" "Rock*";
if allof (string :is ["${b}"] "15", string :comparator "i;octet" "${c}" "jumbled letters",
          string :comparator "i;octet" "${d}" "JuMBlEd lETteRS", string :comparator "i;octet" "${e}" "Jumbled letters",
          string "${f}" "Rock\\*") { discard; }

### RFC 5229 section 3: what was never set is empty, what is no name stays
# coyote: discard
require "variables";
set "company" "ACME";
if allof (string "&%${}!" "&%${}!", string "${nope}" "", string "${Company}" "ACME", string "${doh!}" "${doh!}")
    { discard; }

### RFC 5229 section 4.1: two modifiers of one precedence
# refused: :upper and :lower exclude each other
require "variables";
set :lower :upper "a" "b";

### RFC 5229 section 4: what is no name
# refused: '1' is no name of a variable
require "variables";
set "1" "b";
