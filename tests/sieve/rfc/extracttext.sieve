### RFC 5703 section 9.3: the first characters of a text, for a notice
# parts: notify :importance 2 mailto:alm@example.com :message Report: The café; keep
require ["mime", "foreverypart", "variables", "extracttext", "enotify"];
if header :contains "from" "boss@example.org" {
    if header :matches "Subject" "*" { set "subject" "${1}"; }
    foreverypart {
        if header :mime :type :is "Content-Type" "text" { extracttext :first 8 "msgcontent"; break; }
    }
    if not header :contains "subject" "FYI:" {
        notify :message "${subject}: ${msgcontent}" "mailto:alm@example.com";
    }
}

### RFC 5703 section 7: modifiers, and a part that is no text
# parts: fileinto 19
require ["mime", "foreverypart", "variables", "extracttext", "fileinto"];
foreverypart {
    if header :mime :subtype "Content-Type" "plain" { extracttext :length "n"; }
    if header :mime :type "Content-Type" "application" { extracttext "nothing"; }
}
fileinto "${n}${nothing}";

### RFC 5703 section 7: outside of a loop
# refused: extracttext stands only in a loop over parts
require ["extracttext", "variables"];
extracttext "a";
