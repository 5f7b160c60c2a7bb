### RFC 5703 section 9.2: what could run comes with a warning in front
# parts: keep changed
# has: Subject: Warning
# has: WARNING! The enclosed message contains executable attachments.
# has: Content-Type: message/rfc822
# has: Subject: Report
# has: TVo=
# has: Date: Thu, 1 Jan 1970 00:00:00 +0000
# has: From: <me@example.org>
require ["foreverypart", "mime", "enclose"];
foreverypart {
    if header :mime :param "filename" :matches ["Content-Type", "Content-Disposition"] ["*.com", "*.exe", "*.bat"] {
        enclose :subject "Warning" text:
WARNING! The enclosed message contains executable attachments.
.
;
        break;
    }
}

### RFC 5703 section 6: the new message has the fields that are named, and the subject
# coyote: discard
require ["enclose", "editheader"];
enclose :headers ["To", "from", "X-None"] "Look at this.";
if allof (header :is "Subject" "I have a present for you", header "To" "roadrunner@acme.example.com",
          header "From" "coyote@desert.example.org", not exists "Message-ID",
          header :contains "Content-Type" "multipart/mixed") { discard; }

### RFC 5703 section 6: what is sent on is what came
# coyote: redirect a@example.com; redirect b@example.com; fileinto Enclosed changed
# has: Look at this.
require ["enclose", "copy", "fileinto"];
redirect :copy "a@example.com";
enclose "Look at this.";
redirect :copy "b@example.com";
fileinto "Enclosed";

### RFC 5703 section 6: :headers are names
# refused: :headers takes a string or a list of strings
require "enclose";
enclose :headers 5 "a";
