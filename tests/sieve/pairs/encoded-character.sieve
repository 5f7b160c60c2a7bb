### unicode
require "encoded-character";
if header :contains "subject" ["Gr${unicode:fc df}e", "B${unicode:49}LL", "and${unicode: 20 }papers"] { discard; }

### hex
require "encoded-character";
if header :contains "subject" ["Gr${hex:c3 bc c3 9f}e", "${hex: 42 49  4c 4c }", "${HEX:70}apers"] { discard; }

### what is none stays as it is
# on: bill
require ["encoded-character", "fileinto"];
fileinto "a ${hex:} b ${hex:zz} c ${unicode:} d ${hex:40 e ${unicode 40} f ${hex:400}";

### without its capability it is text
# on: bill
require "fileinto";
fileinto "a${hex:40}b";

### decoded only once
# on: bill
require ["encoded-character", "fileinto"];
fileinto "${hex:24}{hex:41} ${hex:24 7b 68 65 78 3a 34 31 7d}";

### no character
# on: bill
require "encoded-character";
if header :contains "subject" "${unicode:110000}" { discard; }

### half of a character
# on: bill
require "encoded-character";
if header :contains "subject" "${unicode:d800}" { discard; }

### a name of a mailbox
# on: bill
require ["encoded-character", "fileinto"];
fileinto "${unicode:263a} ${hex:41 42}";

### before variables
# on: bill
require ["encoded-character", "variables", "fileinto"];
set "name" "value";
fileinto "${hex:24 7b}name} ${${hex:6e}ame}";
