### RFC 5228 section 2.4.2.4: the table of what is replaced and what is not
# coyote: discard
require ["encoded-character", "variables"];
if allof (string "$${hex:40}" "$@", string "${hex: 40 }${HEX: 40}" "@@", string "${hex:40" "$${hex:7b}hex:40",
          string "${hex:400}" "$${hex:7b}hex:400${hex:7d}", string "${hex:4${hex:30}}" "$${hex:7b}hex:40${hex:7d}",
          string "${unicode:40}" "@", string "${ unicode:40}" "$${hex:7b} unicode:40${hex:7d}",
          string "${UnICoDE:0000040}" "@", string "${Unicode:40}" "@",
          string "${Unicode:Cool}" "$${hex:7b}Unicode:Cool${hex:7d}") { discard; }

### RFC 5228 section 2.4.2.4: viagra in another script
# rich: discard
require "encoded-character";
if header :contains "Subject" "$${hex:24 24}" { discard; }

### RFC 5228 section 2.4.2.4: what is no character
# refused: 200000 is no character of Unicode
require "encoded-character";
if header "subject" "${unicode:200000}" { discard; }
