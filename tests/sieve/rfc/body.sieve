### RFC 5173 section 5.1: raw
# rich: discard
require "body";
if body :raw :contains "MAKE MONEY FAST" { keep; }
if body :raw :contains "COLD HARD CASH!" { discard; }

### RFC 5173 section 5.2: the parts of some types
# parts: fileinto html; fileinto any
require ["body", "fileinto"];
if body :content "text/html" :contains "<b>" { fileinto "html"; }
if body :content "text/plain" :contains "<b>" { fileinto "plain"; }
if body :content "" :contains "Within." { fileinto "any"; }
if body :content "/text" :contains "closed" { fileinto "never"; }

### RFC 5173 section 5.2: of a multipart what is around its parts, of a message its header
# parts: fileinto around; fileinto within
require ["body", "fileinto"];
if body :content "multipart" :contains "In front." { fileinto "around"; }
if body :content "message/rfc822" :contains "Subject: inside" { fileinto "within"; }

### RFC 5173 section 5.3: text, decoded and without the elements of HTML
# parts: discard
require "body";
if allof (body :text :contains "The café is closed.", not body :text :contains "<p>") { discard; }

### RFC 5173 section 6: what matched in a body is no variable
# coyote: keep
require ["body", "variables", "fileinto"];
if body :raw :matches "*anvil*" { set "found" "${1}"; }
if not string "${found}" "" { fileinto "${found}"; }

### RFC 5173 section 4: two ways at once
# refused: :text and :raw exclude each other
require "body";
if body :raw :text :contains "x" { discard; }
