require ["fileinto", "include"];
if header :contains "from" "boss@example.org" {
    fileinto "Work";
    return;
}
