### text, which is what is meant without a word
require "body";
if body :contains ["PAY it soon", "grüße AUS", "café", "no type"] { discard; }

### text by its word
require "body";
if body :text :contains ["$42.50", "bis bald", "the café in"] { discard; }

### text of another character set
# on: list parts
require "body";
if body :text :contains "See the café" { discard; }

### the elements of HTML are no text
# on: parts
require "body";
if body :text :contains "<b>" { discard; }

### raw
require "body";
if body :raw :contains ["=C3=BC", "MIME-nothing", "PGh0bWw", "Dear customer"] { discard; }

### raw knows the lines between parts
# on: parts bounce
require "body";
if body :raw :contains ["--inner--", "report-type"] { discard; }

### raw and the header
# on: bill list
require "body";
if body :raw :contains "x-priority" { discard; }

### content by its type
require "body";
if body :content "text" :contains ["customer", "bis bald, secret", "caf"] { discard; }

### content by type and subtype
# on: list parts bounce
require "body";
if body :content "text/html" :contains "<b>" { discard; }
elsif body :content ["text/plain", "image/png"] :contains "bis bald" { redirect "plain@there.example"; }

### content of a part that is not text
# on: parts
require "body";
if body :content "application/pdf" :contains "%PDF-1.4" { discard; }

### content of a message inside: its header
# on: parts
require "body";
if body :content "message/rfc822" :contains "the inner one" { discard; }

### content of the text of a message inside
# on: parts
require "body";
if body :content "text/plain" :contains "a secret" { discard; }

### content of a multipart: what is in front and behind
# on: parts
require "body";
if body :content "multipart" :contains "in front of" { discard; }
elsif body :content "multipart" :contains "behind the last" { discard; }

### content of everything
require "body";
if body :content "" :contains ["Dear", "Köln", "%PDF", "is told"] { discard; }

### content of types that are none
# on: bill list
require "body";
if body :content ["/plain", "text/", "text/plain/x"] :contains "" { discard; }

### matches
require "body";
if body :matches ["*Pay*Ann*", "*no type*", "*See*café*"] { discard; }

### is, with its line end
# on: bill odd bare
require "body";
if body :raw :is text:

no more
.
{ discard; }
elsif body :raw text:
no more
.
{ redirect "end@there.example"; }

### what a body matched sets no variables
# on: bill
require ["body", "variables", "fileinto"];
if header :matches "x-total" "* EUR" { keep; }
if body :matches "*customer*" { fileinto "${1}"; }

### two transforms
# on: bill
require "body";
if body :raw :text :contains "a" { discard; }

### count
# on: bill
require ["body", "relational", "comparator-i;ascii-numeric"];
if body :count "eq" :comparator "i;ascii-numeric" "1" { discard; }
