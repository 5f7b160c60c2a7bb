# SpamAssassin as a command that keeps its rules compiled: perl spam_assassin.pl DIR learn-ham|learn-spam|score
# Names of files come on standard input. Local tests only; nothing is learnt but what it is told to.
use strict;
use warnings;
use Mail::SpamAssassin;

my ($folder, $action) = @ARGV;
my $engine = Mail::SpamAssassin->new({
    local_tests_only => 1,
    dont_copy_prefs => 1,
    userprefs_filename => '/dev/null',
    home_dir_for_helpers => $folder,
    userstate_dir => $folder,
    post_config_text => "use_bayes 1\nbayes_auto_learn 0\nbayes_path $folder/bayes\nuse_auto_whitelist 0\n"
        . "bayes_learn_to_journal 0\nbayes_auto_expire 0\nlock_method flock\n",
});
$engine->init(1);
$engine->init_learner({ no_relearn => 1, wait_for_lock => 1 }) if $action ne 'score';
while (my $name = <STDIN>) {
    chomp $name;
    open my $file, '<:raw', $name or die "$name: $!";
    my $text = do { local $/; <$file> };
    close $file;
    my $mail = $engine->parse($text);
    if ($action eq 'score') {
        my $status = $engine->check($mail);
        printf "%s %.3f\n", $name, $status->get_score();
        $status->finish();
    } else {
        $engine->learn($mail, undef, $action eq 'learn-spam', 0)->finish();
    }
    $mail->finish();
}
$engine->rebuild_learner_caches() if $action ne 'score';
$engine->finish();
