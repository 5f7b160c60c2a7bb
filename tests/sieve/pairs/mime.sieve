### in parts
require ["foreverypart", "mime", "variables", "fileinto"];
set "n" "";
foreverypart {
    if header :mime :type "content-type" "text" { set "n" "${n}t"; }
    elsif header :mime :type "content-type" "multipart" { set "n" "${n}m"; }
    else { set "n" "${n}x"; }
}
fileinto "parts ${n}";

### by type, subtype and both
# on: parts list bounce
require ["foreverypart", "mime", "fileinto"];
foreverypart {
    if header :mime :subtype "content-type" "html" { fileinto "html"; }
    if header :mime :contenttype "content-type" "application/pdf" { fileinto "pdf"; }
    if header :mime :contenttype "content-type" "message/delivery-status" { fileinto "status"; }
}

### by a parameter
# on: parts list
require ["foreverypart", "mime", "fileinto"];
foreverypart {
    if header :mime :param "filename" :matches "content-disposition" ["*.pdf", "*.exe"] { fileinto "file"; }
    if header :mime :param ["charset", "format"] "content-type" ["iso-8859-1", "flowed"] { fileinto "charset"; }
}

### any child
# on: parts list
require ["mime", "fileinto"];
if header :mime :anychild :contenttype "content-type" "image/png" { fileinto "png"; }
if header :mime :anychild :contains "subject" "inner" { fileinto "inner"; }
if header :mime :contenttype "content-type" "multipart/mixed" { fileinto "mixed"; }
if address :mime :anychild :is "from" "eve@inside.example" { fileinto "eve"; }
if exists :mime :anychild "content-disposition" { fileinto "disposed"; }

### break
# on: parts
require ["foreverypart", "mime", "variables", "fileinto"];
foreverypart {
    set "n" "${n}.";
    if header :mime :subtype "content-type" "html" { break; }
}
fileinto "n${n}";

### loops in loops, with names
# on: parts
require ["foreverypart", "mime", "variables", "fileinto"];
foreverypart :name "outer" {
    set "n" "${n}o";
    foreverypart {
        set "n" "${n}i";
        if header :mime :subtype "content-type" "pdf" { break :name "outer"; }
    }
}
fileinto "${n}";

### stop in a loop
# on: parts
require ["foreverypart", "mime", "fileinto"];
foreverypart {
    if header :mime :type "content-type" "text" { fileinto "A"; stop; }
}
fileinto "B";

### break outside of a loop
# on: bill
require "foreverypart";
break;

### break of a loop that is none
# on: bill
require "foreverypart";
foreverypart { break :name "nowhere"; }

### a facet without mime
# on: bill
require "mime";
if header :type "content-type" "text" { discard; }

### without its capability
# on: bill
foreverypart { keep; }
