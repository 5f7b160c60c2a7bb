### RFC 5703 section 3: all parts, the message first, and what is in them
# parts: fileinto multipart multipart text text application message
require ["foreverypart", "mime", "variables", "fileinto"];
foreverypart {
    if header :mime :type :matches "Content-Type" "*" { set "kinds" "${kinds}${1} "; }
}
fileinto "${kinds}";

### RFC 5703 section 3: a loop in a loop goes over what is inside; break leaves the one that it names
# parts: fileinto .xxx
require ["foreverypart", "mime", "variables", "fileinto"];
foreverypart :name "outer" {
    set "n" "${n}.";
    foreverypart {
        set "n" "${n}x";
        if header :mime :subtype "Content-Type" "html" { break :name "outer"; }
    }
}
fileinto "${n}";

### RFC 5703 section 3.2: a loop that is none
# refused: there is no loop 'x' around this break
require "foreverypart";
foreverypart { break :name "x"; }
