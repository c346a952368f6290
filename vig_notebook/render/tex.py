r"""The TeX that a formula of a model may use: nothing that defines, links, moves or styles.

The names are those of MathJax's base and AMS packages (and `\ce` for chemistry) less what makes new names
(`\def`, `\newcommand`), reaches the page (`\href`, `\class`, `\style`, `\cssId`, `\label`), loads (`\require`,
`\unicode`), moves ink by any length (`\hspace`, `\rule`, `\raise`, `\rlap`), with which a formula could paint over
the rest of the notebook, or repeats (`alignat` makes as many columns as its number says).
"""

from __future__ import annotations

__all__ = ["COMMANDS", "ENVIRONMENTS"]

_ENVIRONMENTS = """
    align align* aligned array bmatrix Bmatrix cases dcases drcases eqnarray
    eqnarray* equation equation* flalign flalign* gather gather* gathered matrix multline multline* pmatrix
    rcases smallmatrix split subarray vmatrix Vmatrix
"""

_COMMANDS = """
    acute aleph alpha amalg And angle approx approxeq arccos arcsin arctan arg Arrowvert arrowvert ast
    asymp atop backepsilon backprime backsim backsimeq backslash bar barwedge Bbb Bbbk bbFont bcancel
    because beta beth between bf big Big bigcap bigcirc bigcup Bigg bigg biggl Biggl biggm Biggm Biggr
    biggr Bigl bigl Bigm bigm bigodot bigoplus bigotimes bigr Bigr bigsqcup bigstar bigtriangledown
    bigtriangleup biguplus bigvee bigwedge binom blacklozenge blacksquare blacktriangle blacktriangledown
    blacktriangleleft blacktriangleright bmod boldsymbol bot bowtie Box boxdot boxed boxminus
    boxplus boxtimes Bra bra brace bracevert brack Braket braket breve buildrel bullet bumpeq Bumpeq cal
    cancel cancelto Cap cap cdot cdotp cdots ce centerdot centernot cfrac check checkmark chi
    choose circ circeq circlearrowleft circlearrowright circledast circledcirc circleddash circledR
    circledS clubsuit colon coloneqq complement cong coprod cos cosh cot coth csc Cup cup curlyeqprec
    curlyeqsucc curlyvee curlywedge curvearrowleft curvearrowright dagger daleth dashleftarrow
    dashrightarrow dashv dbinom ddagger ddddot dddot ddot ddots deg Delta delta det dfrac diagdown diagup
    Diamond diamond diamondsuit digamma dim displaystyle div divideontimes divsymbol dot Doteq doteq
    doteqdot dotplus dots dotsb dotsc dotsi dotsm dotso doublebarwedge doublecap doublecup downarrow
    Downarrow downdownarrows downharpoonleft downharpoonright ell emptyset enspace epsilon eqcirc eqsim
    eqslantgtr eqslantless equiv eta eth exists exp fallingdotseq fbox Finv flat forall frac frak frown
    Game Gamma gamma gcd ge geq geqq geqslant gets gg ggg gggtr gimel gnapprox gneq gneqq gnsim grave gt
    gtrapprox gtrdot gtreqless gtreqqless gtrless gtrsim gvertneqq hat hbar hbox hdashline heartsuit hline
    hom hookleftarrow hookrightarrow hphantom hslash Huge huge idotsint iff iiiint iiint iint Im imath
    impliedby implies in inf infty injlim int intercal intop iota it jmath Join kappa ker ket Ket ketbra
    Ketbra Lambda lambda land langle LARGE large Large LaTeX lbrace lbrack lceil ldotp ldots le leadsto
    left Leftarrow leftarrow leftarrowtail leftharpoondown leftharpoonup leftleftarrows Leftrightarrow
    leftrightarrow leftrightarrows leftrightharpoons leftrightsquigarrow leftthreetimes leq leqq leqslant
    lessapprox lessdot lesseqgtr lesseqqgtr lessgtr lesssim lfloor lg lgroup lhd lim liminf limits limsup
    ll llcorner Lleftarrow lll llless lmoustache ln lnapprox lneq lneqq lnot lnsim log Longleftarrow
    longleftarrow Longleftrightarrow longleftrightarrow longmapsto Longrightarrow longrightarrow
    looparrowleft looparrowright lor lozenge lrcorner Lsh lt ltimes lVert lvert lvertneqq maltese mapsto
    mathbb mathbf mathbin mathcal mathclose mathfrak mathinner mathit mathnormal mathop mathopen mathord
    mathpunct mathrel mathring mathrm mathscr mathsf mathtt max mbox measuredangle mho mid middle min mit
    mod models mp mu multimap nabla natural ncong ne nearrow neg negmedspace negthickspace negthinspace
    neq newline nexists ngeq ngeqq ngeqslant ngtr ni nLeftarrow nleftarrow nleftrightarrow nLeftrightarrow
    nleq nleqq nleqslant nless nmid nolimits nonumber normalsize not notag notin nparallel nprec npreceq
    nrightarrow nRightarrow nshortmid nshortparallel nsim nsubseteq nsubseteqq nsucc nsucceq nsupseteq
    nsupseteqq ntriangleleft ntrianglelefteq ntriangleright ntrianglerighteq nu nVdash nvdash nvDash
    nVDash nwarrow odot oint oldstyle Omega omega omicron ominus operatorname oplus oslash otimes over
    overbrace overleftarrow overleftrightarrow overline overparen overrightarrow overset overunderset owns
    parallel partial perp phantom Phi phi pi Pi pitchfork pm pmb pmod pod Pr prec precapprox preccurlyeq
    preceq precnapprox precneqq precnsim precsim prime prod projlim propto Psi psi pu qquad quad rangle
    rbrace rbrack rceil Re restriction rfloor rgroup rhd rho right Rightarrow rightarrow rightarrowtail
    rightharpoondown rightharpoonup rightleftarrows rightleftharpoons rightrightarrows rightsquigarrow
    rightthreetimes risingdotseq rm rmoustache Rrightarrow Rsh rtimes rVert rvert S scr scriptscriptstyle
    scriptsize scriptstyle searrow sec set Set setminus sf sharp shortmid shortparallel shoveleft
    shoveright sideset sigma Sigma sim simeq sin sinh small smallfrown smallint smallsetminus smallsmile
    smash smile space spadesuit sphericalangle sqcap sqcup sqrt sqsubset sqsubseteq sqsupset sqsupseteq
    square stackrel star subset Subset subseteq subseteqq subsetneq subsetneqq substack succ succapprox
    succcurlyeq succeq succnapprox succneqq succnsim succsim sum sup Supset supset supseteq supseteqq
    supsetneq supsetneqq surd swarrow tag tan tanh tau tbinom TeX text textbf textit textnormal textrm
    textsf textstyle texttt textup tfrac therefore theta Theta thickapprox thicksim thinspace tilde times
    Tiny tiny to top triangle triangledown triangleleft trianglelefteq triangleq triangleright
    trianglerighteq tt twoheadleftarrow twoheadrightarrow ulcorner underbrace underleftarrow
    underleftrightarrow underline underparen underrightarrow underset unlhd unrhd uparrow Uparrow
    updownarrow Updownarrow upharpoonleft upharpoonright uplus Upsilon upsilon upuparrows urcorner
    varDelta varepsilon varGamma varinjlim varkappa varLambda varliminf varlimsup varnothing varOmega
    varPhi varphi varpi varPi varprojlim varpropto varPsi varrho varsigma varSigma varsubsetneq
    varsubsetneqq varsupsetneq varsupsetneqq varTheta vartheta vartriangle vartriangleleft
    vartriangleright varUpsilon varXi vdash vDash Vdash vdots vec vee veebar vert Vert vphantom Vvdash
    wedge widehat widetilde wp wr xcancel Xi xi xLeftarrow xleftarrow xleftrightarrow xlongequal xmapsto
    xrightarrow xRightarrow xtofrom xtwoheadleftarrow xtwoheadrightarrow yen zeta
"""

ENVIRONMENTS = frozenset(_ENVIRONMENTS.split())
COMMANDS = frozenset(_COMMANDS.split())
