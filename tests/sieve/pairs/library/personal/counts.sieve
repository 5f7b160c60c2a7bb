require ["variables", "include"];
global "count";
set "count" "${count}x";
