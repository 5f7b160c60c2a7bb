### RFC 6009 section 4: nobody hears of it, or the header alone comes back
# coyote: redirect a@example.com :notify NEVER; redirect b@example.com :notify FAILURE,DELAY :ret HDRS
require ["copy", "redirect-dsn"];
redirect :notify "NEVER" "a@example.com";
redirect :copy :notify "failure,delay" :ret "hdrs" "b@example.com";

### RFC 6009 section 4: never, and something else
# refused: :notify is NEVER, or some of SUCCESS, FAILURE and DELAY
require "redirect-dsn";
redirect :notify "NEVER,DELAY" "a@example.com";
