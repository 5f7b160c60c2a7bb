### RFC 3894 section 3: it stays, and goes on as well
# coyote: redirect me@example.com; fileinto incoming; keep
require ["copy", "fileinto"];
redirect :copy "me@example.com";
fileinto :copy "incoming";

### RFC 3894 section 3: a copy beside what cancels the keep
# coyote: fileinto incoming; redirect me@example.com
require ["copy", "fileinto"];
fileinto :copy "incoming";
redirect "me@example.com";

### RFC 3894 section 3: keep takes none
# refused: keep takes no :copy
require "copy";
keep :copy;
