### RFC 6131 section 2: half an hour; vacation is there with it
# coyote: vacation 1800 :addresses tjs@example.edu Gone for coffee.; keep
require ["vacation-seconds"];
vacation :addresses ["tjs@example.edu"] :seconds 1800 "Gone for coffee.";

### RFC 6131 section 2: 0 is each time
# coyote: vacation 0 I am a robot.; keep
require "vacation-seconds";
vacation :seconds 0 "I am a robot.";

### RFC 6131 section 2: seconds or days
# refused: :days and :seconds exclude each other
require "vacation-seconds";
vacation :seconds 5 :days 1 "away";
