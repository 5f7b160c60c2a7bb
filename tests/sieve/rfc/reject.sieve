### RFC 5429 section 2.2.1: the grounds are told
# coyote: reject I am not taking mail from you, and I don't want your birdseed, either!
require "reject";
if header :contains "from" "coyote@desert.example.org" {
    reject text:
I am not taking mail from you, and I don't
want your birdseed, either!
.
;
}

### RFC 5429 section 2.4: not refused and taken at once
# coyote: error, a message cannot be refused and be kept
require ["reject", "fileinto"];
reject "No.";
fileinto "Yes";

### RFC 5429 section 2.2: it takes a reason
# refused: reject takes a string
require "reject";
reject;
