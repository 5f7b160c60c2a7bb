### RFC 5703 section 4.1: a field of the message, or of all parts
# parts: fileinto mixed; fileinto exe; fileinto any text
require ["mime", "fileinto"];
if header :mime :contenttype "Content-Type" "multipart/mixed" { fileinto "mixed"; }
if header :mime :contenttype "Content-Type" "text/plain" { fileinto "no, that is inside"; }
if header :mime :anychild :param ["name", "filename"] :matches ["Content-Type", "Content-Disposition"]
    ["*.com", "*.exe", "*.vbs"] { fileinto "exe"; }
if header :mime :anychild :type "Content-Type" "text" { fileinto "any text"; }

### RFC 5703 section 4.1: a disposition has a type and no subtype, other fields have neither
# parts: fileinto type; fileinto no subtype; fileinto blank
require ["mime", "fileinto"];
if header :mime :anychild :contenttype "Content-Disposition" "attachment" { fileinto "type"; }
if header :mime :anychild :subtype "Content-Disposition" "" { fileinto "no subtype"; }
if allof (header :mime :type "Subject" "", not header :mime :type "Subject" "report") { fileinto "blank"; }

### RFC 5703 sections 4.2 and 4.3: address and exists
# parts: fileinto eve; fileinto disposed
require ["mime", "fileinto"];
if address :mime :anychild "from" "eve@example.com" { fileinto "eve"; }
if address :mime "from" "eve@example.com" { fileinto "not of the message"; }
if exists :mime :anychild "Content-Disposition" { fileinto "disposed"; }

### RFC 5703 section 4: what needs :mime
# refused: :anychild, :type and their like need :mime
require "mime";
if header :type "Content-Type" "text" { discard; }
