### RFC 5703 section 9.1: what could run is taken out
# parts: keep changed
# has: Attachment removed.
# has not: TVo=
# has: <p>The <b>café</b> is closed.</p>
# has: Content-Type: multipart/mixed; boundary=outer
require ["foreverypart", "mime", "replace"];
foreverypart {
    if header :mime :param "filename" :matches ["Content-Type", "Content-Disposition"] ["*.com", "*.exe", "*.bat"] {
        replace "Attachment removed.";
    }
}

### RFC 5703 section 5: all of it; who wrote it and about what is kept
# parts: keep changed
# has: Original-From: boss@example.org
# has: From: filter@example.org
# has: Original-Subject: Report
# has: Subject: =?UTF-8?B?QmVyaWNodCBnZWzDtnNjaHQ=?=
# has: Date: Thu, 5 Jul 2007 14:00:00 +0100
# has: Content-Type: text/plain; charset=utf-8
# has not: Content-Type: multipart/mixed; boundary=outer
# has: Removed.
require ["replace", "editheader"];
replace :subject "Bericht gelöscht" :from "filter@example.org" "Removed.";
deleteheader "Original-From";

### RFC 5703 section 5: a part with parts goes with all of them, and the loop does not go into what is gone
# parts: fileinto ..x... changed
# has: Nothing.
# has not: The caf=E9 is closed.
# has: Within.
require ["foreverypart", "mime", "replace", "variables", "fileinto"];
foreverypart {
    if header :mime :subtype "Content-Type" "alternative" { replace "Nothing."; set "n" "${n}.x"; }
    else { set "n" "${n}."; }
}
fileinto "${n}";

### RFC 5703 section 5: an entity as it is to be
# coyote: keep changed
# has: Content-Type: text/html
# has: <h1>Gone</h1>
# has: From: coyote@desert.example.org
require "replace";
replace :mime text:
Content-Type: text/html

<h1>Gone</h1>
.
;

### RFC 5703 section 5: which has no subject of its own
# refused: with :mime there is neither :subject nor :from
require "replace";
replace :mime :subject "a" "b";

### RFC 5703 section 5: from an address
# refused: 'nobody' is no address to write from
require "replace";
replace :from "nobody" "b";
