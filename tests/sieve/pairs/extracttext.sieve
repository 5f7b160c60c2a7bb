### of every part
# on: parts list bill odd
# differs on parts list: we count characters, Pigeonhole octets
require ["foreverypart", "mime", "extracttext", "variables", "fileinto"];
foreverypart {
    if header :mime :contenttype "content-type" "text/plain" {
        extracttext :first 12 "a";
        fileinto "${a}|";
    }
}

### with modifiers
# on: parts
require ["foreverypart", "mime", "extracttext", "variables", "fileinto"];
foreverypart {
    if header :mime :contenttype "content-type" "text/plain" {
        extracttext :upper :first 7 "a";
        fileinto "${a}";
        break;
    }
}

### of HTML
# on: parts
# differs on all: we give its text without elements
require ["foreverypart", "mime", "extracttext", "variables", "fileinto"];
foreverypart {
    if header :mime :subtype "content-type" "html" {
        extracttext "a";
        if string :contains "${a}" "See the café in" { fileinto "yes"; }
    }
}

### of what is no text
# on: parts
# differs on all: there is no text in a picture for us (RFC 5703 section 7)
require ["foreverypart", "mime", "extracttext", "variables", "fileinto"];
set "a" "before";
foreverypart {
    if header :mime :subtype "content-type" "png" { extracttext "a"; fileinto "[${a}]"; }
}

### outside of a loop
# on: bill
require ["extracttext", "variables"];
extracttext "a";

### without variables
# on: bill
require ["foreverypart", "extracttext"];
foreverypart { extracttext "a"; }
