### RFC 8580 section 3.2: a copy of the answer, in a mailbox of one's own
# coyote: vacation 604800 :fcc INBOX.Sent I'm out; keep
require ["vacation", "fcc"];
vacation :days 7 :fcc "INBOX.Sent" "I'm out";

### RFC 8580 sections 3.2 and 4: with flags, made for its use
# coyote: vacation 604800 :subject Gone fishing :fcc Sent :create :specialuse \Sent +\Seen I'm out; keep
require ["vacation", "fcc", "mailbox", "special-use", "imap4flags"];
vacation :days 7 :subject "Gone fishing" :specialuse "\\Sent" :create :flags ["\\Seen"] :fcc "Sent" "I'm out";

### RFC 8580 section 3.3: of a notice
# coyote: notify :importance 2 :fcc INBOX.Sent mailto:alm@example.com :message You got mail!; keep
require ["enotify", "fcc"];
notify :fcc "INBOX.Sent" :message "You got mail!" "mailto:alm@example.com";

### RFC 8580 section 3: what belongs to :fcc
# refused: :flags, :create and their like belong to :fcc here
require ["vacation", "fcc", "mailbox"];
vacation :create "I'm out";
