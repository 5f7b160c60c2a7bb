### RFC 5228 section 2.7.3: every octet counts
# coyote: fileinto as it is
require ["comparator-i;octet", "fileinto"];
if header :comparator "i;octet" :contains "subject" "A PRESENT" { fileinto "not this"; }
if header :comparator "i;octet" :contains "subject" "a present" { fileinto "as it is"; }

### RFC 5228 section 2.7.3: one that there is not
# refused: there is no comparator 'i;nothing' here
require "comparator-i;octet";
if header :comparator "i;nothing" "subject" "a" { discard; }
