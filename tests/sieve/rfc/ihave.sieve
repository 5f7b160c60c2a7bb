### RFC 5463 section 4: what is there is used, without require
# coyote: fileinto INBOX.harassment
require "ihave";
if ihave "fileinto" { fileinto "INBOX.harassment"; } else { discard; }

### RFC 5463 section 4: what is not there is no fault, as it is not come to
# coyote: keep
require "ihave";
if not ihave "vnd.mycorp.thing" { keep; } else { thing :fancy "x"; }

### RFC 5463 section 5: a fault of one's own making
# coyote: error, No date support
require "ihave";
if ihave "vnd.nothing" { keep; } else { error "No date support"; }

### RFC 5463 section 4: constants alone
# refused: ihave takes constants
require ["ihave", "variables"];
if ihave "${a}" { keep; }
