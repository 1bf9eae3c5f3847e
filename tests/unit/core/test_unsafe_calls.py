"""Which lines of code look unsafe, by language, and which only talk of such."""

import pytest

from codexsys_core.unsafe_calls import unsafe_call

UNSAFE = {
    "a.py": """\
        subprocess.run(f'ls {x}', shell=True)
        out = subprocess.getoutput("ls " + name)
        await asyncio.create_subprocess_shell(line)
        exec(code, scope)
        joblib.load(file)
        torch.load(path)
        cursor.execute("select * from t where a = '%s'" % a)
        cursor.execute("select {} from t".format(a))
        query = f"SELECT * FROM users WHERE name = '{name}'"
        query = "delete from t where id = " + id
        query = "delete from t where a = '{}'".format(a)
        context.verify_mode = ssl.CERT_NONE
        client.set_missing_host_key_policy(AutoAddPolicy())
        return mark_safe(text)
        archive.extractall(folder)
        name = tempfile.mktemp()
        app.run(host='0.0.0.0', debug=True)
        os.setuid(0)
        subprocess.run(["docker", "run", "--privileged", image])
        subprocess.run("curl -k https://a.example", check=True)""",
    "a.ts": """\
        eval(text)
        setTimeout("go()", 10)
        vm.runInNewContext(text)
        exec("rm " + name)
        spawn(name, { shell: true })
        element.insertAdjacentHTML('beforeend', text)
        document.write(text)
        db.query(`select ${a}`)
        prisma.$queryRawUnsafe(text)
        const q = `SELECT * FROM t WHERE a = ${a}`;
        const q = "insert into t values (" + a + ")";
        process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'""",
    "a.go": """\
        cmd := exec.CommandContext(ctx, "/bin/bash", "-c", text)
        rows, err := db.QueryContext(ctx, "select a from t where b = " + b)
        q := fmt.Sprintf("SELECT a FROM t WHERE b = '%s'", b)
        config.InsecureSkipVerify = true
        HostKeyCallback: ssh.InsecureIgnoreHostKey(),
        p := unsafe.Pointer(&x)
        return template.HTML(text)
        os.Chmod(name, 0777)
        syscall.Setuid(0)""",
    "a.rs": """\
        unsafe { *pointer }
        let b: u64 = std::mem::transmute(a);
        Command::new("bash").arg("-c").arg(text)
        builder.danger_accept_invalid_hostnames(true)
        sqlx::query(&format!("select {a}"))
        let q = format!("DELETE FROM t WHERE a = {}", a);""",
    "A.java": """\
        Runtime.getRuntime().exec(command);
        new ProcessBuilder("sh", "-c", text).start();
        Object o = new ObjectInputStream(in).readObject();
        statement.executeQuery("select * from t where a = " + a);
        String q = "UPDATE t SET a = '" + a + "'";
        client.setHostnameVerifier((host, session) -> true);
        new ScriptEngineManager().getEngineByName("js").eval(text);""",
    "a.kt": 'connection.createQuery("from User where name = $name")',
    "a.rb": """\
        eval(params[:code])
        object.instance_eval "puts 1"
        klass = params[:type].constantize
        system("ls #{dir}")
        out = `ls #{dir}`
        Marshal.load(body)
        YAML.load(body)
        User.where("name = '#{name}'")
        text.html_safe
        http.verify_mode = OpenSSL::SSL::VERIFY_NONE""",
    "a.php": """\
        eval($code);
        include $_GET['page'];
        system("ls " . $dir);
        $o = unserialize($body);
        mysqli_query($db, "select * from t where a = '$a'");
        $db->query('select a from t where b = ' . $b);
        echo $_GET['name'];
        curl_setopt($c, CURLOPT_SSL_VERIFYPEER, false);""",
    "run.sh": """\
        eval "$command"
        for x in 1; do eval run $x; done
        bash -c "ls '$dir'; echo "$name
        curl -sk https://a.example
        wget --no-check-certificate https://a.example
        chmod u+s /usr/bin/tool
        chmod 4755 /usr/bin/tool
        chmod -R 777 /srv
        docker run --privileged image
        docker run -v /var/run/docker.sock:/var/run/docker.sock image
        git -c http.sslVerify=false clone x
        echo 'a ALL=(ALL) NOPASSWD: ALL' >> /etc/sudoers""",
    "Dockerfile": """\
        USER root
        USER 0
        RUN sudo apt-get install x
        RUN chmod 777 /srv""",
    "deploy/pod.yaml": """\
        privileged: true
        allowPrivilegeEscalation: true
        runAsUser: 0
        hostNetwork: true
        - SYS_ADMIN
        permissions: write-all""",
    "rules.sudoers": "ada ALL=(ALL) NOPASSWD: ALL",
}
SAFE = {
    "a.py": """\
        model.eval()
        raise ValueError("never call eval(x) or os.system(x)")
        x = 1  # os.system(x)
        # exec(code)
        \"\"\"Like exec(x), but safe.
        '''Runs eval(x).'''
        yaml.load(text, Loader=SafeLoader)
        torch.load(path, weights_only=True)
        archive.extractall(folder, filter="data")
        cursor.execute("select * from t where a = %s", (a,))
        query = f"Select a fruit: {name}"
        print(f"deleted {n} rows from {table}")
        def execute(self): ...
        exec()
        async def exec(self, name):
        host = "unix:///var/run/docker.sock"
        if context.verify_mode != ssl.CERT_NONE:
        os.chmod(path, 0o755)
        url = "https://a.example/eval(x)"
        log("100% of " + name)""",
    "a.js": """\
        regex.exec(text)
        strict: secure ? !!options.rejectUnauthorized : false,
        strict = process.env.NODE_TLS_REJECT_UNAUTHORIZED !== '0'
        execSync('npm test')
        element.innerHTML = ''
        if (a.innerHTML === b) return
        // eval(x)
        const says = 'do not eval(this)';
        setTimeout(() => go(), 10)
        db.query('select a from t where b = ?', [b])
        const a = `Select ${b} from the list`.length / 2""",
    "a.go": """\
        exec.Command("git", "log")
        // exec.Command("sh", "-c", x)
        db.Query("select a from t where b = ?", b)
        fmt.Sprintf("select %s", name)
        s := `unsafe.Pointer`
        os.MkdirAll(name, 0755)""",
    "a.rs": """\
        let unsafe_name = 1;
        #![forbid(unsafe_code)]
        /// unsafe { x }
        let s = "unsafe { x }";
        fn f<'a>(x: &'a str) {}""",
    "A.java": """\
        statement.executeQuery(query);
        jdbc.query("select a from t where b = ?", b);
        * Runtime.getRuntime().exec(x)
        String s = "a " + b;""",
    "a.rb": """\
        system("ls", dir)
        object.instance_eval do |x|
        User.where(name: name)
        YAML.safe_load(body)
        # eval(x)
        puts "eval(#{x})\"""",
    "a.php": """\
        $db->exec($statement);
        # eval($x);
        $model->eval($x);
        unserialize($x, ['allowed_classes' => false]);
        echo htmlspecialchars($name);""",
    "run.sh": """\
        chmod 755 run
        chmod 0644 file
        # eval "$x"
        curl -fsSL https://a.example
        mkdir -k-later
        eval set -- "$args"
        echo evaluate $x""",
    "Dockerfile": """\
        USER app
        RUN pip install --no-cache-dir pseudosudo-free
        # USER root""",
    "pod.yaml": """\
        privileged: false
        runAsUser: 1000
        runAsNonRoot: true
        # privileged: true""",
}


def rows(table: dict[str, str]) -> list[tuple[str, str]]:
    return [(path, line.strip()) for path, text in table.items() for line in text.split("\n")]


@pytest.mark.parametrize(("path", "line"), rows(UNSAFE))
def test_unsafe_calls_are_named(path: str, line: str) -> None:
    assert unsafe_call(path, line)


@pytest.mark.parametrize(("path", "line"), rows(SAFE))
def test_talk_of_them_and_safe_calls_are_not(path: str, line: str) -> None:
    assert unsafe_call(path, line) is None


HOSTILE = ("execute(", '"select a ', "chmod 0", "curl ", "eval", "'", '"""', "`", "update ", "#{", "unserialize(", "$(", "/*", "#", " ", "(")  # fmt: skip


@pytest.mark.parametrize("path", [*UNSAFE, "a.txt"])
def test_a_hostile_line_takes_no_longer_than_can_be_waited_for(path: str) -> None:
    """A thousand times slower than any of these would still end: what is bounded is that all of them do."""
    for word in HOSTILE:
        unsafe_call(path, (word * 2000)[:2000])
