### RFC 7352 section 4: the first time
# coyote: keep
require ["duplicate", "fileinto", "mailbox"];
if duplicate { fileinto :create "Trash/Duplicate"; }

### RFC 7352 section 4: the second
# given: seen = all
# coyote: fileinto Trash/Duplicate :create
require ["duplicate", "fileinto", "mailbox"];
if duplicate { fileinto :create "Trash/Duplicate"; }

### RFC 7352 section 3.1: without a Message-ID, or by a field that is none, it is no duplicate
# given: seen = all
# rich: keep
require "duplicate";
if anyof (duplicate, duplicate :header "X-Event-ID", duplicate :header "what:ever") { discard; }

### RFC 7352 section 5: alarms, by what their subject says
# given: seen = all
# coyote: discard
require ["duplicate", "variables"];
if header :matches "subject" "I have a *" {
    if duplicate :seconds 1800 :uniqueid "${1}" :handle "presents" :last { discard; }
}

### RFC 7352 section 3.1: two ways to name it
# refused: :uniqueid and :header exclude each other
require "duplicate";
if duplicate :header "a" :uniqueid "b" { discard; }
