### RFC 5429 section 2.1.1: refused while its sender is there
# coyote: ereject I no longer accept mail from this address
require "ereject";
if address "from" "coyote@desert.example.org" { ereject "I no longer accept mail from this address"; }

### RFC 5429 section 2.4: once
# coyote: error, a message can be refused once
require ["reject", "ereject"];
ereject "No.";
reject "No!";

### RFC 5429 section 2.1: its capability is not that of reject
# refused: ereject needs: require "ereject"
require "reject";
ereject "No.";
